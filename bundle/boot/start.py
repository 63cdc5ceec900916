"""Where the unpacked product starts: only our own folder is added to Python's path, whatever the environment says."""

import os
import sys

sys.path.append(__file__.rpartition("/")[0] + "/site")
sys.argv[0] = "appliance"
os.environ["APPLIANCE_FILE"] = os.path.realpath(os.environ["APPLIANCE_FILE"])

from appliance.cli import main  # noqa: E402

main()
