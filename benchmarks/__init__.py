"""The bench: the relay measured beside the direct way and its peers, in the same rounds. README.md says how."""
