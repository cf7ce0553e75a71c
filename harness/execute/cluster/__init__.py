"""Many machines: on every node of a Ray cluster an actor that owns a local pool, and a driver that writes the records.

Ray finds the nodes, carries orders and events, and says which node is lost; cells run as they do on one machine. Only
`connection` and `executor` import Ray, which is optional, and nothing imports them unless it is asked for.
"""
