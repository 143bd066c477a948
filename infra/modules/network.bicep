metadata description = 'A network through which the app alone reaches storage and vault. The app itself stays public.'

param suffix string
param location string
param tags object
param storageId string
param vaultId string

var vaultZone = 'privatelink${replace(environment().suffixes.keyvaultDns, 'vault', 'vaultcore')}'
var storageSuffix = environment().suffixes.storage
var endpoints = [
  {
    name: 'blob'
    resourceId: storageId
    zone: 'privatelink.blob.${storageSuffix}'
  }
  {
    name: 'queue'
    resourceId: storageId
    zone: 'privatelink.queue.${storageSuffix}'
  }
  {
    name: 'table'
    resourceId: storageId
    zone: 'privatelink.table.${storageSuffix}'
  }
  {
    name: 'vault'
    resourceId: vaultId
    zone: vaultZone
  }
]

resource network 'Microsoft.Network/virtualNetworks@2024-01-01' = {
  name: 'vnet-storekeeper-${suffix}'
  location: location
  tags: tags
  properties: {
    addressSpace: {
      addressPrefixes: ['10.80.0.0/23']
    }
    subnets: [
      {
        // Flex Consumption forbids underscores in this name, and shares an address among instances.
        name: 'snet-app'
        properties: {
          addressPrefix: '10.80.0.0/24'
          delegations: [
            {
              name: 'flex'
              properties: {
                serviceName: 'Microsoft.App/environments'
              }
            }
          ]
        }
      }
      {
        name: 'snet-endpoints'
        properties: {
          addressPrefix: '10.80.1.0/27'
          privateEndpointNetworkPolicies: 'Disabled'
        }
      }
    ]
  }
}

resource zones 'Microsoft.Network/privateDnsZones@2020-06-01' = [
  for endpoint in endpoints: {
    name: endpoint.zone
    location: 'global'
    tags: tags
  }
]

resource links 'Microsoft.Network/privateDnsZones/virtualNetworkLinks@2020-06-01' = [
  for (endpoint, index) in endpoints: {
    parent: zones[index]
    name: 'storekeeper'
    location: 'global'
    tags: tags
    properties: {
      registrationEnabled: false
      virtualNetwork: {
        id: network.id
      }
    }
  }
]

resource privateEndpoints 'Microsoft.Network/privateEndpoints@2024-01-01' = [
  for endpoint in endpoints: {
    name: 'pep-${endpoint.name}-${suffix}'
    location: location
    tags: tags
    properties: {
      subnet: {
        id: '${network.id}/subnets/snet-endpoints'
      }
      privateLinkServiceConnections: [
        {
          name: endpoint.name
          properties: {
            privateLinkServiceId: endpoint.resourceId
            groupIds: [endpoint.name]
          }
        }
      ]
    }
  }
]

resource records 'Microsoft.Network/privateEndpoints/privateDnsZoneGroups@2024-01-01' = [
  for (endpoint, index) in endpoints: {
    parent: privateEndpoints[index]
    name: 'default'
    properties: {
      privateDnsZoneConfigs: [
        {
          name: endpoint.name
          properties: {
            privateDnsZoneId: zones[index].id
          }
        }
      ]
    }
  }
]

output appSubnetId string = '${network.id}/subnets/snet-app'
