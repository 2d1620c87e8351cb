"""The rivals: every network but MMWFAnet, one file each, named after the method."""
