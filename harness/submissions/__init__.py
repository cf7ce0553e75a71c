"""Results from strangers: a folder of records is made, checked without running any of its code, and marked on boards.

Nothing here measures. What a submission says is believed by nobody: every file of one passes `folder`, every record
passes the same reading as any other, and an implementation is read from its syntax tree.
"""
