// MartletState
