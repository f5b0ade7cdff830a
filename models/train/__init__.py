"""Trains the reference models that answer for something: python -m train (in models/).

Every set of data is made here, from a seed, or comes with scikit-learn; nothing is
downloaded. The networks are those of the seeded reference models, drawn by the same
functions, so a trained model costs a device exactly what its seeded twin costs.
"""
