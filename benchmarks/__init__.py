"""What a scrape, a poll and a connector cost, measured side by side with others on this machine."""
