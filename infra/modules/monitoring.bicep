metadata description = 'Where logs and telemetry go. Only Entra identities may send telemetry.'

param suffix string
param location string
param tags object
param retentionDays int

module workspace 'br/public:avm/res/operational-insights/workspace:0.7.0' = {
  name: 'workspace'
  params: {
    name: 'log-storekeeper-${suffix}'
    location: location
    tags: tags
    dataRetention: retentionDays
    enableTelemetry: false
  }
}

module insights 'br/public:avm/res/insights/component:0.4.1' = {
  name: 'insights'
  params: {
    name: 'appi-storekeeper-${suffix}'
    location: location
    tags: tags
    workspaceResourceId: workspace.outputs.resourceId
    disableLocalAuth: true // no telemetry by instrumentation key alone
    enableTelemetry: false
  }
}

output workspaceId string = workspace.outputs.resourceId
output insightsName string = insights.outputs.name
