metadata description = 'The function app on Flex Consumption, its settings included. It is whatever its identity may do, and has no key.'

param suffix string
param location string
param tags object
param maximumInstances int
param alwaysReadyInstances int
param storageName string
param packageContainer string
param vaultUrl string
param dataKeyName string
param identityId string
param identityClientId string
param insightsName string
param subnetId string
param settings object

resource account 'Microsoft.Storage/storageAccounts@2023-05-01' existing = {
  name: storageName
}

resource insights 'Microsoft.Insights/components@2020-02-02' existing = {
  name: insightsName
}

resource plan 'Microsoft.Web/serverfarms@2024-04-01' = {
  name: 'asp-storekeeper-${suffix}'
  location: location
  tags: tags
  kind: 'functionapp'
  sku: {
    name: 'FC1'
    tier: 'FlexConsumption'
  }
  properties: {
    reserved: true // Linux
  }
}

resource app 'Microsoft.Web/sites@2024-04-01' = {
  name: 'func-storekeeper-${suffix}'
  location: location
  tags: union(tags, { 'azd-service-name': 'api' })
  kind: 'functionapp,linux'
  identity: {
    type: 'UserAssigned'
    userAssignedIdentities: {
      '${identityId}': {}
    }
  }
  properties: {
    serverFarmId: plan.id
    httpsOnly: true
    virtualNetworkSubnetId: !empty(subnetId) ? subnetId : null
    functionAppConfig: {
      runtime: {
        name: 'python'
        version: '3.13'
      }
      deployment: {
        storage: {
          type: 'blobContainer'
          value: '${account.properties.primaryEndpoints.blob}${packageContainer}'
          authentication: {
            type: 'UserAssignedIdentity'
            userAssignedIdentityResourceId: identityId
          }
        }
      }
      // All HTTP functions share instances; every queue function and every timer scales on instances of its own. How
      // many messages an instance of a queue function takes at once, and so how many instances there are, is set by
      // batchSize and newBatchThreshold of host.json; to try others without deploying, set the app setting
      // AzureFunctionsJobHost__extensions__queues__batchSize.
      scaleAndConcurrency: {
        maximumInstanceCount: maximumInstances // of each function or group; an instance makes STORE_CONCURRENCY calls
        instanceMemoryMB: 2048 // for its whole core, which JSON, TLS and AES want; the app itself holds about 110 MiB
        triggers: {
          http: {
            // Python's default is 1, for code that blocks. Ours waits for storage and Store, and holds up nobody.
            perInstanceConcurrency: 32
          }
        }
        alwaysReady: alwaysReadyInstances == 0 ? [] : [
          {
            name: 'http'
            instanceCount: alwaysReadyInstances
          }
        ]
      }
    }
    siteConfig: {
      minTlsVersion: '1.2'
      scmMinTlsVersion: '1.2'
      http20Enabled: true
    }
  }

  resource ftp 'basicPublishingCredentialsPolicies' = {
    name: 'ftp'
    properties: {
      allow: false
    }
  }

  resource scm 'basicPublishingCredentialsPolicies' = {
    name: 'scm'
    properties: {
      allow: false
    }
  }
}

// A managed identity is named by its client id: without one, only a system-assigned identity would answer.
var federated = 'managed-identity:${identityClientId}'
var given = toObject(filter(items(settings), each => !empty(each.value)), each => each.key, each => each.value)
var named = {
  PUBLISHER_CREDENTIAL: empty(settings.PUBLISHER_CREDENTIAL) || settings.PUBLISHER_CREDENTIAL == 'managed-identity' ? federated : settings.PUBLISHER_CREDENTIAL
  BUSINESS_TENANTS: empty(settings.BUSINESS_TENANTS) ? '[]' : replace(settings.BUSINESS_TENANTS, '"managed-identity"', '"${federated}"')
}
var fixed = {
  AzureWebJobsStorage__accountName: storageName
  AzureWebJobsStorage__credential: 'managedidentity'
  AzureWebJobsStorage__clientId: identityClientId
  AZURE_CLIENT_ID: identityClientId
  KEY_VAULT_URL: vaultUrl
  STORE_ID_DATA_KEY: dataKeyName
  APPLICATIONINSIGHTS_CONNECTION_STRING: insights.properties.ConnectionString
  APPLICATIONINSIGHTS_AUTHENTICATION_STRING: 'ClientId=${identityClientId};Authorization=AAD'
}

// Apart from the app, because it replaces all settings: what is not here is taken away by the next deployment.
resource appSettings 'Microsoft.Web/sites/config@2024-04-01' = {
  parent: app
  name: 'appsettings'
  properties: union(given, named, fixed)
}

output name string = app.name
output url string = 'https://${app.properties.defaultHostName}'
