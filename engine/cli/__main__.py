"""`python -m engine.cli` is `skillos-engine`, for a checkout that is not installed."""

import sys

from engine.cli import main

sys.exit(main())
