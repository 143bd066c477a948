// What azd's environment says: `azd env set NAME VALUE` for each that you want to change.
using './main.bicep'

param environmentName = readEnvironmentVariable('AZURE_ENV_NAME')
param location = readEnvironmentVariable('AZURE_LOCATION')
param deployerId = readEnvironmentVariable('AZURE_PRINCIPAL_ID', '')
param deployerType = readEnvironmentVariable('AZURE_PRINCIPAL_TYPE', 'User')

param profileName = readEnvironmentVariable('STOREKEEPER_PROFILE', 'dev')
param privateNetwork = bool(readEnvironmentVariable('STOREKEEPER_PRIVATE_NETWORK', 'false'))
param deployerAddress = readEnvironmentVariable('STOREKEEPER_DEPLOYER_ADDRESS', '')
param alertEmail = readEnvironmentVariable('STOREKEEPER_ALERT_EMAIL', '')
param extraTags = json(readEnvironmentVariable('STOREKEEPER_TAGS', '{}'))

// Every setting of shared/settings.py, but for those that the template itself knows. Empty: its default.
param settings = {
  ENTRA_AUTHORITY: readEnvironmentVariable('ENTRA_AUTHORITY', '')
  AZURE_DISABLE_INSTANCE_DISCOVERY: readEnvironmentVariable('AZURE_DISABLE_INSTANCE_DISCOVERY', '')
  PUBLISHER_TENANT_ID: readEnvironmentVariable('PUBLISHER_TENANT_ID', '')
  PUBLISHER_CLIENT_ID: readEnvironmentVariable('PUBLISHER_CLIENT_ID', '')
  PUBLISHER_CREDENTIAL: readEnvironmentVariable('PUBLISHER_CREDENTIAL', '')
  BUSINESS_TENANTS: readEnvironmentVariable('BUSINESS_TENANTS', '')
  STORE_BUSINESS_URL: readEnvironmentVariable('STORE_BUSINESS_URL', '')
  STORE_COLLECTIONS_URL: readEnvironmentVariable('STORE_COLLECTIONS_URL', '')
  STORE_PURCHASE_URL: readEnvironmentVariable('STORE_PURCHASE_URL', '')
  KEY_VAULT_VERIFY_CHALLENGE: readEnvironmentVariable('KEY_VAULT_VERIFY_CHALLENGE', '')
  STORE_ID_DATA_KEY: readEnvironmentVariable('STORE_ID_DATA_KEY', '')
  STORE_ID_MATCH_USER: readEnvironmentVariable('STORE_ID_MATCH_USER', '')
  STORE_SANDBOX: readEnvironmentVariable('STORE_SANDBOX', '')
  CALLER_ISSUERS: readEnvironmentVariable('CALLER_ISSUERS', '') // required; a hook says so better
  CATALOG_LANGUAGES: readEnvironmentVariable('CATALOG_LANGUAGES', '')
  CATALOG_DOWNLOAD_PACKAGES: readEnvironmentVariable('CATALOG_DOWNLOAD_PACKAGES', '')
  SEAT_CHUNK_SIZE: readEnvironmentVariable('SEAT_CHUNK_SIZE', '')
  STORE_CONCURRENCY: readEnvironmentVariable('STORE_CONCURRENCY', '')
  CATALOG_SYNC_SCHEDULE: readEnvironmentVariable('CATALOG_SYNC_SCHEDULE', '')
  KEY_RENEWAL_SCHEDULE: readEnvironmentVariable('KEY_RENEWAL_SCHEDULE', '')
  REFUND_SCHEDULE: readEnvironmentVariable('REFUND_SCHEDULE', '')
  SWEEP_SCHEDULE: readEnvironmentVariable('SWEEP_SCHEDULE', '')
}
