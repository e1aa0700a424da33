"""The page and its JSON API: jobs, runs and crystals over HTTP, for one machine or a trusted few."""
