"""Model files: the index of reference models, building, describing, vetting.

Nothing here executes a model. A stranger's file is vetted first (`vet`), then
described (`describe`); reference models are looked up (`index`) and built on demand
(`build`).
"""
