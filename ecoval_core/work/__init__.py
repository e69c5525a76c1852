"""Slow work: tasks done by processes of their own, in fair turns and within limits."""
