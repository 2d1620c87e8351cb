"""Has a figure fallen? Small trainings compared with a kept baseline, by a stated rule.

`docs/ci.md` says how it is used and argues the rule. `table` turns runs into figures, `rule` and
`judging` compare them with a `baseline`, `cost` measures speed and memory, the rest prints.
"""
