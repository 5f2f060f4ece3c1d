def compare() -> bool:
    return False
