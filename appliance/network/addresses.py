"""Where `appliance up` still looks for `parse_network`, which lives in `model/addresses.py`."""

from appliance.model.addresses import parse_network as parse_network
