"""Runs over a cluster by submitit: each job does cells of one run in a shared results folder."""
