"""Rating images by A/B choices: pairs, the choice log, scores, statistics. No torch, no Tk."""
