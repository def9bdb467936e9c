"""What the commands do with one image; the commands themselves only read arguments and sum up.

`pipeline` makes a mask with its `record` and `pictures`; `explainers`, `explain_setup` and
`rendered` make explanations; `evaluate_works`, `evaluate_methods` and `faithfulness_work`
score. A work is a value that can be sent to another process.
"""
