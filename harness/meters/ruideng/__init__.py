"""Ruideng USB testers: UM24C, UM25C, UM34C over Bluetooth serial, TC66C over USB."""
