// MartletConnectors
