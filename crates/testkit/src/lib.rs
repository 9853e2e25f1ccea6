//! Throw-away CA, fake apiservers, clients, the namespace cluster. Never shipped.
