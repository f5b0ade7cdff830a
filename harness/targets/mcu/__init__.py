"""Microcontrollers with firmware that speaks the MLPerf Tiny / EEMBC protocol."""
