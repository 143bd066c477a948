metadata description = 'The vault of the data key and, where they are chosen, of client secrets and certificates.'

param name string
param location string
param tags object
param retentionDays int
param privateNetwork bool
param deployerAddress string
param workspaceId string
param lock bool

var reachableByDeployer = privateNetwork && !empty(deployerAddress)

resource vault 'Microsoft.KeyVault/vaults@2023-07-01' = {
  name: name
  location: location
  tags: tags
  properties: {
    tenantId: tenant().tenantId
    sku: {
      family: 'A'
      name: 'standard'
    }
    enableRbacAuthorization: true
    enableSoftDelete: true
    softDeleteRetentionInDays: retentionDays
    enablePurgeProtection: true // who deletes the data key for good deletes every key that it sealed
    publicNetworkAccess: privateNetwork && !reachableByDeployer ? 'Disabled' : 'Enabled'
    networkAcls: {
      defaultAction: privateNetwork ? 'Deny' : 'Allow'
      bypass: 'None'
      ipRules: reachableByDeployer ? [{ value: deployerAddress }] : []
    }
  }
}

resource logs 'Microsoft.Insights/diagnosticSettings@2021-05-01-preview' = {
  name: 'audit'
  scope: vault
  properties: {
    workspaceId: workspaceId
    logs: [
      {
        categoryGroup: 'audit'
        enabled: true
      }
    ]
    metrics: [
      {
        category: 'AllMetrics'
        enabled: true
      }
    ]
  }
}

resource deletionLock 'Microsoft.Authorization/locks@2020-05-01' = if (lock) {
  name: 'keep'
  scope: vault
  properties: {
    level: 'CanNotDelete'
    notes: 'The data key: without it no key at rest can be read.'
  }
}

output id string = vault.id
output name string = vault.name
output url string = vault.properties.vaultUri
