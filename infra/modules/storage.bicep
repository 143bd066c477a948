metadata description = 'The storage account: everything that the app keeps, its queues, and its package. No account key works.'

param name string
param location string
param tags object
param sku string
param privateNetwork bool
param workspaceId string
param lock bool

// The app makes on first use what is missing; it is all made here so that nothing waits for a first use, and so that
// what there is can be read in one place. tests/unit/test_infra_storage.py holds these lists against the code.
var readQueues = [
  'catalog-downloads'
  'catalog-passes'
  'catalog-pieces'
  'fulfillment-jobs'
  'fulfillment-work'
  'seat-blocks'
  'seat-jobs'
  'seat-turns'
  'store-id-renewals'
]
var outgoingQueues = [
  'store-events'
]
var poisonQueues = [for queue in readQueues: '${queue}-poison']
var tableNames = [
  'catalog'
  'freeproducts'
  'ledger'
  'orderlines'
  'poison'
  'refunds'
  'seatjobs'
  'seatturns'
  'storeids'
  'subscriptionchanges'
]
var containerNames = [
  'artwork'
  'packages'
  'seat-jobs'
]
var packageContainerName = 'app-package'

resource account 'Microsoft.Storage/storageAccounts@2023-05-01' = {
  name: name
  location: location
  tags: tags
  kind: 'StorageV2'
  sku: {
    name: sku
  }
  properties: {
    allowSharedKeyAccess: false
    defaultToOAuthAuthentication: true
    allowBlobPublicAccess: false
    allowCrossTenantReplication: false
    minimumTlsVersion: 'TLS1_2'
    supportsHttpsTrafficOnly: true
    publicNetworkAccess: privateNetwork ? 'Disabled' : 'Enabled'
    networkAcls: {
      defaultAction: privateNetwork ? 'Deny' : 'Allow'
      bypass: 'None'
    }
  }
}

resource blobs 'Microsoft.Storage/storageAccounts/blobServices@2023-05-01' = {
  parent: account
  name: 'default'
  properties: {
    deleteRetentionPolicy: {
      enabled: true
      days: 7
    }
    containerDeleteRetentionPolicy: {
      enabled: true
      days: 7
    }
  }
}

resource containers 'Microsoft.Storage/storageAccounts/blobServices/containers@2023-05-01' = [
  for container in concat(containerNames, [packageContainerName]): {
    parent: blobs
    name: container
    properties: {
      publicAccess: 'None'
    }
  }
]

resource queueService 'Microsoft.Storage/storageAccounts/queueServices@2023-05-01' = {
  parent: account
  name: 'default'
}

resource queues 'Microsoft.Storage/storageAccounts/queueServices/queues@2023-05-01' = [
  for queue in concat(readQueues, poisonQueues, outgoingQueues): {
    parent: queueService
    name: queue
  }
]

resource tableService 'Microsoft.Storage/storageAccounts/tableServices@2023-05-01' = {
  parent: account
  name: 'default'
}

resource tables 'Microsoft.Storage/storageAccounts/tableServices/tables@2023-05-01' = [
  for table in tableNames: {
    parent: tableService
    name: table
  }
]

resource lifecycle 'Microsoft.Storage/storageAccounts/managementPolicies@2023-05-01' = {
  parent: account
  name: 'default'
  properties: {
    policy: {
      rules: [
        {
          name: 'forget-user-lists'
          enabled: true
          type: 'Lifecycle'
          definition: {
            filters: {
              blobTypes: ['blockBlob']
              prefixMatch: ['seat-jobs/']
            }
            actions: {
              baseBlob: {
                // Names of people. A list is read once, when its job is taken; a replay from the poison may come later.
                delete: {
                  daysAfterModificationGreaterThan: 30
                }
              }
            }
          }
        }
        {
          name: 'cool-old-packages'
          enabled: true
          type: 'Lifecycle'
          definition: {
            filters: {
              blobTypes: ['blockBlob']
              prefixMatch: ['packages/']
            }
            actions: {
              baseBlob: {
                // Written once under the name of its content, and fetched mostly while it is new.
                tierToCool: {
                  daysAfterModificationGreaterThan: 90
                }
              }
            }
          }
        }
      ]
    }
  }
}

// What is put into queues is logged, and nothing else: by it modules/alerts.bicep sees poison. Reads are polls.
resource queueLogs 'Microsoft.Insights/diagnosticSettings@2021-05-01-preview' = {
  name: 'queue-writes'
  scope: queueService
  properties: {
    workspaceId: workspaceId
    logs: [
      {
        category: 'StorageWrite'
        enabled: true
      }
    ]
  }
}

resource deletionLock 'Microsoft.Authorization/locks@2020-05-01' = if (lock) {
  name: 'keep'
  scope: account
  properties: {
    level: 'CanNotDelete'
    notes: 'Players\' keys and books: what is lost here, nobody can restore.'
  }
}

output id string = account.id
output name string = account.name
output packageContainer string = packageContainerName
