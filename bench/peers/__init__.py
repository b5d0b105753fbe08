"""Programs of others that write JSON files from a CAR. Scripts only; `bench.readers` runs them."""
