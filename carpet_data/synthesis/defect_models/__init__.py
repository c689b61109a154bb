"""Models of defects that need no donor: drawn from what a defect is, in the colours of the host.

`window` cuts the square around a place, `fabric` finds the weave in it, `photo_host` and `yarn_texture` let the models
of `carpet_data.weave.defects` work on it (`woven`); `scratch`, `abrasion`, `stain`, `spot` and `crack` work on any
surface, with `look` and `lines`; `object_core` tells an object from its shadow, `visible` turns a change into an image
and its exact mask, `kinds` names them all.
"""
