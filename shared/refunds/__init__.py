"""Refunds, chargebacks and their reversals, as the Store's clawback events tell of them (reference, section 8)."""
