"""Tables, drawings and the command line. Sees every other part; nothing imports it."""
