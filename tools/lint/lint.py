print("lint: later")
