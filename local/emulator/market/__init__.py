"""The books of the Store: products, orders, balances, subscriptions, refunds and their events."""
