metadata description = 'Alerts on what Azure measures without any help of ours.'

param suffix string
param location string
param tags object
param email string
param storageId string
param vaultId string
param workspaceId string

// A client's mistake (4xx) is a failed request for Application Insights, and no failure of ours. Queue functions and
// timers have no HTTP status: their result code is 0, empty or a word.
var failuresQuery = '''
AppRequests
| where Success == false
| where coalesce(tolong(ResultCode), 0) !between (400 .. 499)
| project Function = OperationName
'''

// The metric of a queue's length is of all queues together and an hour old. Who puts poison is in the log at once.
var poisonQuery = '''
StorageQueueLogs
| where OperationName == "PutMessage" and toint(StatusCode) < 300 and Uri contains "-poison/messages"
| project Queue = extract("/([a-z0-9-]+-poison)/messages", 1, Uri)
'''

resource receivers 'Microsoft.Insights/actionGroups@2023-01-01' = {
  name: 'ag-storekeeper-${suffix}'
  location: 'global'
  tags: tags
  properties: {
    enabled: true
    groupShortName: 'storekeeper'
    emailReceivers: empty(email) ? [] : [
      {
        name: 'operators'
        emailAddress: email
        useCommonAlertSchema: true
      }
    ]
  }
}

resource failures 'Microsoft.Insights/scheduledQueryRules@2023-12-01' = {
  name: 'alert-function-failures-${suffix}'
  location: location
  tags: tags
  properties: {
    displayName: 'Storekeeper: functions fail'
    description: 'More than five invocations of one function failed within 15 minutes. One or two are tried again by themselves.'
    severity: 2
    enabled: true
    scopes: [workspaceId]
    evaluationFrequency: 'PT5M'
    windowSize: 'PT15M'
    criteria: {
      allOf: [
        {
          query: failuresQuery
          timeAggregation: 'Count'
          operator: 'GreaterThan'
          threshold: 5
          dimensions: [
            {
              name: 'Function'
              operator: 'Include'
              values: ['*']
            }
          ]
          failingPeriods: {
            numberOfEvaluationPeriods: 1
            minFailingPeriodsToAlert: 1
          }
        }
      ]
    }
    skipQueryValidation: true // the tables are there only once something was logged
    autoMitigate: true
    actions: {
      actionGroups: [receivers.id]
    }
  }
}

resource poison 'Microsoft.Insights/scheduledQueryRules@2023-12-01' = {
  name: 'alert-poison-${suffix}'
  location: location
  tags: tags
  properties: {
    displayName: 'Storekeeper: a message was given up on'
    description: 'A poison queue is not empty. GET /api/poison shows the message and the reason; POST …/replays puts it back.'
    severity: 1
    enabled: true
    scopes: [workspaceId]
    evaluationFrequency: 'PT15M'
    windowSize: 'PT30M' // overlaps: a log entry may be a quarter of an hour late, and none is to be missed
    criteria: {
      allOf: [
        {
          query: poisonQuery
          timeAggregation: 'Count'
          operator: 'GreaterThan'
          threshold: 0
          dimensions: [
            {
              name: 'Queue'
              operator: 'Include'
              values: ['*']
            }
          ]
          failingPeriods: {
            numberOfEvaluationPeriods: 1
            minFailingPeriodsToAlert: 1
          }
        }
      ]
    }
    skipQueryValidation: true
    autoMitigate: false // it stays until somebody has looked: that no more came does not empty the queue
    actions: {
      actionGroups: [receivers.id]
    }
  }
}

resource storageThrottling 'Microsoft.Insights/metricAlerts@2018-03-01' = {
  name: 'alert-storage-throttling-${suffix}'
  location: 'global'
  tags: tags
  properties: {
    description: 'The storage account turns calls away. The app waits and tries again; fewer instances would help.'
    severity: 2
    enabled: true
    scopes: [storageId]
    evaluationFrequency: 'PT5M'
    windowSize: 'PT15M'
    criteria: {
      'odata.type': 'Microsoft.Azure.Monitor.SingleResourceMultipleMetricCriteria'
      allOf: [
        {
          name: 'throttled'
          criterionType: 'StaticThresholdCriterion'
          metricNamespace: 'Microsoft.Storage/storageAccounts'
          metricName: 'Transactions'
          timeAggregation: 'Total'
          operator: 'GreaterThan'
          threshold: 10
          dimensions: [
            {
              name: 'ResponseType'
              operator: 'Include'
              values: [
                'ServerBusyError'
                'ServerTimeoutError'
                'ClientThrottlingError'
                'ClientAccountBandwidthThrottlingError'
                'ClientAccountRequestThrottlingError'
                'SuccessWithThrottling'
              ]
            }
          ]
        }
      ]
    }
    autoMitigate: true
    actions: [
      {
        actionGroupId: receivers.id
      }
    ]
  }
}

resource vaultThrottling 'Microsoft.Insights/metricAlerts@2018-03-01' = {
  name: 'alert-vault-throttling-${suffix}'
  location: 'global'
  tags: tags
  properties: {
    description: 'The vault turns calls away. Each instance reads a secret every five minutes at the most: too many start anew.'
    severity: 2
    enabled: true
    scopes: [vaultId]
    evaluationFrequency: 'PT5M'
    windowSize: 'PT15M'
    criteria: {
      'odata.type': 'Microsoft.Azure.Monitor.SingleResourceMultipleMetricCriteria'
      allOf: [
        {
          name: 'throttled'
          criterionType: 'StaticThresholdCriterion'
          metricNamespace: 'Microsoft.KeyVault/vaults'
          metricName: 'ServiceApiResult'
          timeAggregation: 'Count'
          operator: 'GreaterThan'
          threshold: 0
          dimensions: [
            {
              name: 'StatusCode'
              operator: 'Include'
              values: ['429']
            }
          ]
        }
      ]
    }
    autoMitigate: true
    actions: [
      {
        actionGroupId: receivers.id
      }
    ]
  }
}
