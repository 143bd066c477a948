"""The steps of the guided run, in their order."""

from local.demo.business_steps import BUSINESS_STEPS
from local.demo.frame_steps import CALLERS, SECRECY
from local.demo.key_steps import KEY_STEPS
from local.demo.market_steps import BOOKS, MARKET_STEPS

# What a crash left behind is looked at last of all: a dead worker's claim takes a minute and a half to run out.
STEPS = (CALLERS, *KEY_STEPS, *MARKET_STEPS, *BUSINESS_STEPS, BOOKS, SECRECY)
