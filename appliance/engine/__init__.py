import sys
import warnings

# requests guesses with it what a text is encoded in, which the engine says. Its tables would be 3 MB in every agent.
# None makes the import fail (Python's reference, "The module cache"), and requests do without.
sys.modules.setdefault("charset_normalizer", None)  # type: ignore[arg-type]
warnings.filterwarnings("ignore", "Unable to find acceptable character detection dependency")
