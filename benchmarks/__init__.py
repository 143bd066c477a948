"""The measured claims of the README. Every figure stands beside a baseline that was measured in the same run."""
