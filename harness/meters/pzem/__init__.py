"""Peacefair PZEM-004T v3 and its kin: mains power by Modbus RTU, once a second."""
