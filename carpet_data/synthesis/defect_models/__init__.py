"""Models of defects that need no donor: drawn from what a defect is, in the colors of the host.

`window` cuts the square around a place and turns what a model changed in it into an image and its exact mask; `kinds`
names the models. Those of `surface` work on anything; those of `carpet_data.weave.defects` work on a photograph
(`woven`, `photo_host`) whose weave was found (`fabric`).
"""
