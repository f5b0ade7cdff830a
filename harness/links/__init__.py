"""Bytes and lines to and from devices and child processes; no protocol."""
