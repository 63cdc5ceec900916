"""Where the package starts."""

from appliance.cli import main

if __name__ == "__main__":
    main()
