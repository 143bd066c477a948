metadata description = 'Storekeeper on Azure: one resource group with all that the app needs, and no key anywhere.'

targetScope = 'subscription'

@minLength(1)
@maxLength(32)
@description('The azd environment, such as storekeeper-dev. Names and tags are made of it.')
param environmentName string

@minLength(1)
@description('Where everything goes. It must be a region that has Flex Consumption: az functionapp list-flexconsumption-locations')
param location string

@allowed(['dev', 'prod'])
@description('What it is for; see profiles below.')
param profileName string = 'dev'

@description('The app settings that only you know, by the names of shared/settings.py; an empty one keeps its default.')
param settings object

@description('Object id of who deploys, and therefore writes the data key into the vault. Empty: nobody is given that role.')
param deployerId string = ''

@allowed(['User', 'ServicePrincipal'])
param deployerType string = 'User'

@description('Storage and vault are reached through private endpoints alone.')
param privateNetwork bool = false

@description('With privateNetwork: the public IPv4 address from which the vault stays reachable, to write the data key.')
param deployerAddress string = ''

@description('Who is told of alerts. Empty: alerts are only seen in the portal.')
param alertEmail string = ''

@description('Tags of your own, such as { owner: \'store-team\', costCenter: \'1234\' }.')
param extraTags object = {}

// How the two kinds of environment differ. Numbers that nobody needs to change are in the modules.
var profiles = {
  dev: {
    storageSku: 'Standard_LRS'
    maximumInstances: 40 // the least that Flex Consumption has long allowed
    alwaysReadyInstances: 0 // nobody minds a cold start, nor pays for its absence
    logDays: 30
    vaultRetentionDays: 7
    lock: false // azd down works
  }
  prod: {
    storageSku: 'Standard_ZRS' // survives the loss of a zone; keys that only a game can make anew are in there
    maximumInstances: 100 // a Store that throttles is not helped by more; see STORE_CONCURRENCY
    alwaysReadyInstances: 1 // a player waits for a token
    logDays: 90
    vaultRetentionDays: 90
    lock: true
  }
}
var profile = profiles[profileName]

var suffix = toLower(uniqueString(subscription().id, environmentName, location))
var tags = union({ 'azd-env-name': environmentName, app: 'storekeeper', env: profileName }, extraTags)
var dataKeyName = !empty(settings.STORE_ID_DATA_KEY) ? settings.STORE_ID_DATA_KEY : 'store-id-data-key'

// Names and abbreviations: Cloud Adoption Framework, "Abbreviation recommendations for Azure resources".
resource group 'Microsoft.Resources/resourceGroups@2024-03-01' = {
  name: 'rg-${environmentName}'
  location: location
  tags: tags
}

// The versions of the Azure Verified Modules here and in modules/monitoring.bicep are those of Microsoft's own
// quickstart for Python on Flex Consumption (Azure-Samples/functions-quickstart-python-http-azd, infra/main.bicep).
module identity 'br/public:avm/res/managed-identity/user-assigned-identity:0.4.1' = {
  name: 'identity'
  scope: group
  params: {
    name: 'id-storekeeper-${suffix}'
    location: location
    tags: tags
    enableTelemetry: false
  }
}

module monitoring './modules/monitoring.bicep' = {
  name: 'monitoring'
  scope: group
  params: {
    suffix: suffix
    location: location
    tags: tags
    retentionDays: profile.logDays
  }
}

module storage './modules/storage.bicep' = {
  name: 'storage'
  scope: group
  params: {
    name: 'st${suffix}'
    location: location
    tags: tags
    sku: profile.storageSku
    privateNetwork: privateNetwork
    workspaceId: monitoring.outputs.workspaceId
    lock: profile.lock
  }
}

module vault './modules/vault.bicep' = {
  name: 'vault'
  scope: group
  params: {
    name: 'kv-${suffix}'
    location: location
    tags: tags
    retentionDays: profile.vaultRetentionDays
    privateNetwork: privateNetwork
    deployerAddress: deployerAddress
    workspaceId: monitoring.outputs.workspaceId
    lock: profile.lock
  }
}

module network './modules/network.bicep' = if (privateNetwork) {
  name: 'network'
  scope: group
  params: {
    suffix: suffix
    location: location
    tags: tags
    storageId: storage.outputs.id
    vaultId: vault.outputs.id
  }
}

module roles './modules/roles.bicep' = {
  name: 'roles'
  scope: group
  params: {
    storageName: storage.outputs.name
    vaultName: vault.outputs.name
    insightsName: monitoring.outputs.insightsName
    appPrincipalId: identity.outputs.principalId
    deployerId: deployerId
    deployerType: deployerType
  }
}

module app './modules/app.bicep' = {
  name: 'app'
  scope: group
  params: {
    suffix: suffix
    location: location
    tags: tags
    maximumInstances: profile.maximumInstances
    alwaysReadyInstances: profile.alwaysReadyInstances
    storageName: storage.outputs.name
    packageContainer: storage.outputs.packageContainer
    vaultUrl: vault.outputs.url
    dataKeyName: dataKeyName
    identityId: identity.outputs.resourceId
    identityClientId: identity.outputs.clientId
    insightsName: monitoring.outputs.insightsName
    subnetId: privateNetwork ? network!.outputs.appSubnetId : ''
    settings: settings
  }
  // A first start without them would fail, and be tried again only much later.
  dependsOn: [
    roles
  ]
}

module alerts './modules/alerts.bicep' = {
  name: 'alerts'
  scope: group
  params: {
    suffix: suffix
    location: location
    tags: tags
    email: alertEmail
    storageId: storage.outputs.id
    vaultId: vault.outputs.id
    workspaceId: monitoring.outputs.workspaceId
  }
}

// What the hooks, and `azd env get-values`, know of it. Nothing secret: the data key is made by a hook, in the vault.
output AZURE_TENANT_ID string = tenant().tenantId
output AZURE_RESOURCE_GROUP string = group.name
output SERVICE_API_NAME string = app.outputs.name
output APP_URL string = app.outputs.url
output STORAGE_ACCOUNT_NAME string = storage.outputs.name
output KEY_VAULT_NAME string = vault.outputs.name
output DATA_KEY_NAME string = dataKeyName
output IDENTITY_CLIENT_ID string = identity.outputs.clientId
output IDENTITY_PRINCIPAL_ID string = identity.outputs.principalId
