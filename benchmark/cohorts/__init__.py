"""Where scans and reference labels come from: one file a source, and the split into parts."""
