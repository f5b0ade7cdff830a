"""What a device that is not here would take, and why: pure, but for the model read.

`graph_cost` counts what a graph asks for, `device_model` reads what a device gives,
`predict` puts the two together, `power` turns work in time into a trace of power.
Each form of device model (``rates/1``) is named in `predict.FORMS`.
"""
