package cluster

// SlotOf is the hash slot of a key.
var SlotOf = slot
