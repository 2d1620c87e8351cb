"""Reports: the leaderboard from kept runs, on the terminal and in files. No torch anywhere here."""
