"""The steps of the guided run, in their order."""

from local.demo.business_steps import BUSINESS_STEPS
from local.demo.frame_steps import CALLERS, SECRECY
from local.demo.key_steps import KEY_STEPS

STEPS = (CALLERS, *KEY_STEPS, *BUSINESS_STEPS, SECRECY)
