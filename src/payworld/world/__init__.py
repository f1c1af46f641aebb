"""State that outlives a day: merchants, their versions, stored cards, counters."""
