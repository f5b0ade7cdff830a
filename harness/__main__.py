"""``python -m harness`` is the command ``duanping``."""

from harness.cli import main

if __name__ == "__main__":
    main()
