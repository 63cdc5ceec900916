"""Where the unpacked product starts: only our own folder is added to Python's path, whatever the environment says."""

import os
import sys

sys.path.append(os.path.dirname(os.path.abspath(__file__)) + "/site")
sys.argv[0] = "appliance"
os.environ["APPLIANCE_FILE"] = os.path.realpath(os.environ["APPLIANCE_FILE"])

from appliance.cli import main  # noqa: E402

main()
