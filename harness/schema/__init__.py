"""The written forms: files into nouns, with errors that name file, place and remedy.

Strict with what people write (an unknown key is a typo), lenient with what newer
machines write.
"""
