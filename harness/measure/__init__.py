"""The only ruler: time, memory, activity and energy. It is handed functions and networks, never names or files."""
