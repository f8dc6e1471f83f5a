"""The figures of the analytics endpoints (contract/api.md §9): one module per question, members as the contract names them."""
